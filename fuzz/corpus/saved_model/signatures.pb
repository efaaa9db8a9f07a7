
¢
predict_examples
+
examples
tf_example:0ÿÿÿÿÿÿÿÿÿ!
y3
y3:0ÿÿÿÿÿÿÿÿÿ
y
y:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict
„
classify_x2_to_y3o
)
inputs
tf_example:0ÿÿÿÿÿÿÿÿÿ%
scores
y3:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/classify
ƒ
regress_x2_to_y3o
)
inputs
tf_example:0ÿÿÿÿÿÿÿÿÿ&
outputs
y3:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/regress
€
regress_x_to_yn
)
inputs
tf_example:0ÿÿÿÿÿÿÿÿÿ%
outputs
y:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/regress

classify_x_to_yn
)
inputs
tf_example:0ÿÿÿÿÿÿÿÿÿ$
scores
y:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/classify
q
serving_default^

x
x:0ÿÿÿÿÿÿÿÿÿ
y
y:0ÿÿÿÿÿÿÿÿÿtensorflow/serving/predict