

typesstring
x"abb