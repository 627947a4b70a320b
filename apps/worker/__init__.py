"""The worker: takes documents from the queue, has them embedded, and stores them."""
