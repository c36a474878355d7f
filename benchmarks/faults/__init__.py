"""What Presort's processes, Zendesk and Redis can do to it, and what an independent count then says."""
