//! Sockets that are bound to one interface.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::error::Error;
use super::interface::Interface;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A peer that neither reads nor acknowledges for this long is gone: its server was reset in the middle of a download.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// A UDP socket that hears and speaks only on `interface`.
pub(crate) fn udp(interface: &Interface, address: Ipv4Addr, port: u16) -> Result<UdpSocket, Error> {
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        // A DHCP client or resolver of this machine may hold the port on other interfaces.
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.bind(&SocketAddrV4::new(address, port).into())?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket.into())
    };
    bind().map_err(|source| Error::Bind {
        what: "UDP",
        address: SocketAddrV4::new(address, port).into(),
        source,
    })
}

/// The HTTP listener.
pub(crate) fn tcp(interface: &Interface, port: u16) -> Result<TcpListener, Error> {
    let address = SocketAddrV4::new(interface.address, port);
    let bind = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        // Inherited by the accepted connections.
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(UNACKNOWLEDGED))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|source| Error::Bind {
        what: "TCP",
        address: address.into(),
        source,
    })
}

/// A raw ICMPv6 socket that hears what is sent to all routers and speaks with the hop limit that neighbour discovery
/// demands. The kernel fills in the checksum.
pub(crate) fn icmpv6(interface: &Interface) -> Result<UdpSocket, Error> {
    const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    // RFC 4861 section 6.1: anything else came through a router and is dropped.
    const HOPS: u32 = 255;
    let open = || {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.set_unicast_hops_v6(HOPS)?;
        socket.set_multicast_hops_v6(HOPS)?;
        socket.set_multicast_if_v6(interface.index)?;
        socket.set_multicast_loop_v6(false)?;
        socket.join_multicast_v6(&ALL_ROUTERS, interface.index)?;
        socket.set_nonblocking(true)?;
        // send_to and recv_from are all that is used of it, and those do not care what the datagrams are.
        UdpSocket::from_std(socket.into())
    };
    open().map_err(|source| Error::Bind {
        what: "ICMPv6",
        address: SocketAddr::new(ALL_ROUTERS.into(), 0),
        source,
    })
}
