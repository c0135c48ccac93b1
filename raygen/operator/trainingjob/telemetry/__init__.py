"""What Prometheus and OpenTelemetry are told of TrainingJobs."""
