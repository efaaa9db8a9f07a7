

typesfloat32
x