"""What the API offers of still cameras beside what it offers of every feed."""
