"""Pictures of samples, and of a model beside its data."""
