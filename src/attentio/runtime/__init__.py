"""What a process runs on: device, precision, files, worker processes, stop requests."""
