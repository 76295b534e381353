"""What a served remote holds of a repository: single objects through versions, states for looking, a transaction."""
