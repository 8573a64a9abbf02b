"""Responses of the service as frozen dataclasses, with the names of the API and exact decimals.

Fields of a newer service that these classes lack are left out.
"""
