

typesbool
x
Z