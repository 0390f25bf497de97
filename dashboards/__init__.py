"""Grafana and Prometheus, generated: the dashboard, the rules, the scrape config."""
