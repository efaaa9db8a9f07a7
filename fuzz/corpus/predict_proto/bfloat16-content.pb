

typesbfloat16
x"À?