"""What the commands besides the service do: benchmark, doctor, quantisation, evaluation, planning,
tuning. The service imports none of it."""
