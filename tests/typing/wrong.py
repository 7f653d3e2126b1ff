"""A user's script with a wrong argument in each line that begins with `bad`. Type checkers refuse every one of them."""

from skbp import BackpropClassifier, BackpropClassifierCV

bad_1 = BackpropClassifier(hidden_layer_sizes="wrong")
bad_2 = BackpropClassifier(solver="adamw")
bad_3 = BackpropClassifier(max_iter=2.5)
bad_4 = BackpropClassifier(learning_rate=0.1)
bad_5 = BackpropClassifierCV(dropout="none")
bad_6 = BackpropClassifier().fit([[1.0]], [1], coef_init=1.0)
bad_7 = BackpropClassifier.from_weights([[[1.0]]], [[0.0]])
