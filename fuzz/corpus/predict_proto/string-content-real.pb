

typesstring
x"abc