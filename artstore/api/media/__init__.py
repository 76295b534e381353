"""Media: images, sounds, videos, pages, 3D objects and plots, stored in W&B's layout."""
