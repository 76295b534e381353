"""Keras on PyTorch, with W&B's three callbacks."""

import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy
import wandb
from wandb.integration.keras import WandbEvalCallback, WandbMetricsLogger, WandbModelCheckpoint


class Answers(WandbEvalCallback):
    def add_ground_truth(self, logs=None):
        for number in range(3):
            self.data_table.add_data(number, float(y[number, 0]))

    def add_model_predictions(self, epoch, logs=None):
        for number in range(3):
            self.pred_table.add_data(
                epoch, self.data_table_ref.data[number][1], float(self.model.predict(x[:1], verbose=0)[0, 0])
            )


keras.utils.set_random_seed(0)
x, y = numpy.random.rand(16, 2).astype("float32"), numpy.random.rand(16, 1).astype("float32")
with wandb.init(project="layers", id="keras", config={"units": 2}):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)), "mse", metrics=["mae"]
    )
    model.fit(
        x, y, epochs=2, batch_size=4, validation_data=(x, y), verbose=0,
        callbacks=[
            WandbMetricsLogger(log_freq=2), WandbModelCheckpoint("model-{epoch}.keras"),
            Answers(["number", "right"], ["epoch", "right", "answer"]),
        ],
    )  # fmt: skip
