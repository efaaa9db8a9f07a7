

fails
textBx