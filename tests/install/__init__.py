"""The specification of install, uninstall and doctor."""
