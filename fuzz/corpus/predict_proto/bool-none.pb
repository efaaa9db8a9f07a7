

typesbool
x
