

typesstring
x"abb