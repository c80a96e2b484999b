"""Ray and processes: how jobs are started, watched and ended."""
