"""Programs that measure the shipped models on simulated and real images, by the product's path."""
