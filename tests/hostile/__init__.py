"""What strangers send: fuzzed input, forged requests, slow connections, text that would be markup."""
