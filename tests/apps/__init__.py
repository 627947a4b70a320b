"""The application's parts, without Docker. They need the packages of apps/*/requirements.lock;
where those are not installed, a file says so and is skipped."""
