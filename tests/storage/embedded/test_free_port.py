import socket

from storage.embedded.free_port import free_ports, is_free

FIRST_OUTGOING = 32_768  # the default of Linux; macOS and the standard begin at 49,152


def test_ports_are_free_and_different() -> None:
    ports = free_ports(50)

    assert len(set(ports)) == 50
    for port in ports:
        with socket.create_server(("127.0.0.1", port)):
            assert not is_free(port)


def test_no_outgoing_connection_can_take_a_port_before_its_server() -> None:
    assert all(port < FIRST_OUTGOING for port in free_ports(50))
