"""A neural network in plain NumPy. It learns XOR."""

import numpy as np

X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])


def forward(W1, b1, W2, b2, X):
    z1 = X @ W1 + b1  # step 1, equation (1)
    a1 = np.tanh(z1)  # step 1, equation (2)
    z2 = a1 @ W2 + b2  # step 1, equation (1)
    return a1, z2


def loss_and_gradient(W1, b1, W2, b2, X, y):
    a1, z2 = forward(W1, b1, W2, b2, X)
    loss = np.mean(np.logaddexp(0, z2) - y * z2)  # step 2, equation (3)
    delta2 = (1 / (1 + np.exp(-z2)) - y) / len(X)  # step 2, equation (4)
    delta1 = (delta2 @ W2.T) * (1 - a1**2)  # step 3, equation (5)
    dW1, dW2 = X.T @ delta1, a1.T @ delta2  # step 4, equation (6)
    db1, db2 = delta1.sum(axis=0), delta2.sum(axis=0)  # step 4, equation (7)
    return loss, [dW1, db1, dW2, db2]


def train(parameters, X, y, learning_rate, n_steps):
    for _ in range(n_steps):
        _, gradient = loss_and_gradient(*parameters, X, y)
        pairs = zip(parameters, gradient, strict=True)
        parameters = [theta - learning_rate * g for theta, g in pairs]  # step 5
    return parameters


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    start = [rng.normal(size=(2, 4)), np.zeros(4), rng.normal(size=(4, 1)), np.zeros(1)]
    _, z2 = forward(*train(start, X, y, learning_rate=1.0, n_steps=500), X)
    print((z2 > 0).astype(int).ravel())
