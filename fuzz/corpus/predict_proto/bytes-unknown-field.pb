

hi¢abc