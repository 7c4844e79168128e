"""The HTTP edge of the support desk."""
