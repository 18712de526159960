"""A device for pylablib to serve."""

import numpy


class Camera:
    def __init__(self, size):
        self.size = size
        self.opened = True
        self.callbacks = []

    def grab(self):
        return numpy.arange(self.size * self.size, dtype="uint16").reshape(self.size, self.size)

    def settings(self):
        return {"size": self.size, "gain": 1.5}

    def on_frame(self, callback):
        self.callbacks.append(callback)

    def trigger(self):
        return [callback(number) for number, callback in enumerate(self.callbacks)]

    def close(self):
        self.opened = False
