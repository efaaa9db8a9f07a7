

typesfloat32
x"abc