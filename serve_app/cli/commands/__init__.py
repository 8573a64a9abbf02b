"""Commands of `ordergen`, one module a noun."""
