

typesstring
xBaBb