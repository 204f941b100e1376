"""The periodic audit: plan, sample, findings, sign-off, report (every 90 days by the sample policy)."""
