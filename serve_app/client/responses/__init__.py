"""Responses of the service as frozen dataclasses, with the names of the API and exact decimals.

Fields that a newer service has beyond these are left out.
"""
