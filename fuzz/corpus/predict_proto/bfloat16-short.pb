

typesbfloat16
xj€€