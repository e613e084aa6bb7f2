//! Network interfaces: what sysfs says about them, and the few changes we make through the routing socket.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{Error, dhcp};

/// Directory of interfaces.
const NET: &str = "/sys/class/net";

/// A physical Ethernet interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Kernel's name.
    pub name: String,
    /// Kernel's number.
    pub index: u32,
    /// `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
}

/// All physical Ethernet interfaces, by name.
#[must_use]
pub fn interfaces() -> Vec<Interface> {
    let mut found: Vec<Interface> = fs::read_dir(NET)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| read(&entry.path()))
        .collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

fn read(path: &Path) -> Option<Interface> {
    let attribute = |name: &str| {
        fs::read_to_string(path.join(name))
            .ok()
            .map(|text| text.trim().to_owned())
    };
    // ARPHRD_ETHER, and a device behind it: no loopback, bridge or tunnel.
    let physical = path.join("device").exists() && attribute("type")? == "1";
    physical.then_some(())?;
    Some(Interface {
        name: path.file_name()?.to_str()?.to_owned(),
        index: attribute("ifindex")?.parse().ok()?,
        mac: attribute("address")?.to_lowercase(),
    })
}

impl Interface {
    /// The cable leads to something.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        let carrier = fs::read_to_string(Path::new(NET).join(&self.name).join("carrier"));
        carrier.is_ok_and(|text| text.trim() == "1")
    }

    /// Mbit/s, 0 if not known.
    #[must_use]
    pub fn speed(&self) -> u32 {
        let speed = fs::read_to_string(Path::new(NET).join(&self.name).join("speed"));
        speed
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The MAC address as bytes.
    #[must_use]
    pub fn mac_bytes(&self) -> Option<[u8; 6]> {
        hex::decode(self.mac.replace(':', "")).ok()?.try_into().ok()
    }
}

/// The routing socket.
pub(super) struct Links {
    handle: Handle,
    /// Drives the socket.
    _connection: JoinSet<()>,
}

impl Links {
    pub(super) fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        Ok(Self {
            handle,
            _connection: tasks,
        })
    }

    pub(super) async fn up(&mut self, interface: &Interface) -> Result<(), Error> {
        let up = LinkUnspec::new_with_index(interface.index).up().build();
        self.handle
            .link()
            .set(up)
            .execute()
            .await
            .map_err(failed(interface))
    }

    /// Puts the address and, where there is one, the default route in place.
    pub(super) async fn add(
        &mut self,
        interface: &Interface,
        address: Ipv4Addr,
        prefix: u8,
        router: Option<Ipv4Addr>,
    ) -> Result<(), Error> {
        let add = self
            .handle
            .address()
            .add(interface.index, IpAddr::V4(address), prefix);
        add.replace().execute().await.map_err(failed(interface))?;
        if let Some(router) = router {
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .gateway(router)
                .output_interface(interface.index)
                .build();
            let add = self.handle.route().add(route).replace();
            add.execute().await.map_err(failed(interface))?;
        }
        Ok(())
    }

    /// Takes the interface out of the way: another network must not be answered from it.
    pub(super) async fn down(
        &mut self,
        interface: &Interface,
        address: Ipv4Addr,
        prefix: u8,
    ) -> Result<(), Error> {
        let message = rtnetlink::AddressMessageBuilder::<Ipv4Addr>::new()
            .index(interface.index)
            .address(address, prefix)
            .build();
        self.handle
            .address()
            .del(message)
            .execute()
            .await
            .map_err(failed(interface))?;
        let down = LinkUnspec::new_with_index(interface.index).down().build();
        self.handle
            .link()
            .set(down)
            .execute()
            .await
            .map_err(failed(interface))
    }
}

fn failed(interface: &Interface) -> impl FnOnce(rtnetlink::Error) -> Error {
    let name = interface.name.clone();
    move |source| Error::Configure { name, source }
}

/// A socket for DHCP on one interface, usable before it has an address.
pub(super) fn dhcp_socket(name: &str) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_broadcast(true)?;
    socket.bind_device(Some(name.as_bytes()))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, dhcp::CLIENT_PORT)).into())?;
    UdpSocket::from_std(socket.into())
}
