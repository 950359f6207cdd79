"""Vertebral fractures on CT: heights of each body, grade of Genant, density of the bone."""
