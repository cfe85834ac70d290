"""Messages and answers about cameras: detections, windows, figures of them."""
