//! The network between simulated machines: streams of bytes with delays, cuts and resets.
//!
//! As TCP shows itself to programs: what arrives arrives whole and in order, in pieces of any size,
//! with a bounded window in flight. A cut link holds everything back until it is healed, and loses
//! nothing, because TCP sends again. A connection ends by a reset of either side, by the death of a
//! process (its kernel tells the other side), or silently with its machine: then it is half-open
//! until the other side sends something to the machine when that is back.
//!
//! Does not know: cores and their operations; it keeps who waits for what, as [`Waiter`]s, and
//! hands back who is to try again.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::arena::Key;
use crate::rng::Rng;
use crate::time::Instant;

/// An operation of a core that cannot be performed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) core: usize,
    pub(super) key: Key,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EndId(u64);

/// What travels from one machine to another.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    from: EndId,
    to: EndId,
    from_machine: usize,
    to_machine: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Bytes(Bytes),
    /// Nothing more will come.
    End,
    Reset,
}

/// A packet and when it arrives.
pub(super) type Sent = (Instant, Packet);

/// What an operation on a socket has come to.
pub(super) type Tried<T> = Option<io::Result<T>>;

#[derive(Debug)]
struct Side {
    machine: usize,
    peer: EndId,
    peer_machine: usize,
    /// Bytes that have arrived and that nobody has read.
    inbox: VecDeque<Bytes>,
    inbox_bytes: usize,
    /// Bytes on their way to here.
    coming_bytes: usize,
    window_bytes: usize,
    /// Packets to here arrive in order.
    last_arrival: Instant,
    has_ended: bool,
    is_reset: bool,
    /// This side has been shut down.
    is_shut: bool,
    receiving: Vec<Waiter>,
    sending: Vec<Waiter>,
}

impl Side {
    /// Whoever waits for this side has something to look at.
    fn wake_all(&mut self, woken: &mut Vec<Waiter>) {
        woken.append(&mut self.receiving);
        woken.append(&mut self.sending);
    }
}

/// Sockets that listen on one address together.
#[derive(Debug, Default)]
struct Group {
    is_shared: bool,
    members: Vec<Listening>,
}

#[derive(Debug)]
struct Listening {
    core: usize,
    backlog: VecDeque<(EndId, SocketAddr)>,
    accepting: Vec<Waiter>,
}

/// What one direction between two machines is like.
#[derive(Clone, Debug)]
struct Link {
    latency_max: Duration,
    /// While it is cut: what waits for it to be healed.
    held: Option<Vec<Packet>>,
}

const LATENCY_MIN: Duration = Duration::from_micros(20);
const LATENCY_MAX: Duration = Duration::from_micros(300);
const EPHEMERAL_PORT_FIRST: u16 = 32_768;

#[derive(Debug, Default)]
pub(super) struct Net {
    groups: BTreeMap<(usize, SocketAddr), Group>,
    sides: BTreeMap<EndId, Side>,
    sides_count: u64,
    links: BTreeMap<(usize, usize), Link>,
    /// Machines without power: what is sent to them waits.
    off: BTreeMap<usize, Vec<Packet>>,
    /// Attempts to connect that wait for a link or a machine.
    connecting: Vec<Waiter>,
    ports_count: u16,
    pub(super) resets_count: u64,
}

/// The address of a machine, by its number.
pub(super) fn address_of(machine: usize) -> Ipv4Addr {
    let number = u8::try_from(machine + 1).expect("few machines");
    Ipv4Addr::new(10, 0, 0, number)
}

impl Net {
    // ---- Sockets.

    pub(super) fn listen(
        &mut self,
        machine: usize,
        core: usize,
        mut address: SocketAddr,
        is_shared: bool,
    ) -> io::Result<SocketAddr> {
        if address.port() == 0 {
            address.set_port(self.next_port());
        }
        let group = self.groups.entry((machine, address)).or_default();
        let is_free = group.members.is_empty() || (group.is_shared && is_shared);
        if !is_free {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        group.is_shared = is_shared;
        let backlog = VecDeque::new();
        group.members.push(Listening { core, backlog, accepting: Vec::new() });
        Ok(address)
    }

    pub(super) fn accept(
        &mut self,
        machine: usize,
        address: SocketAddr,
        waiter: Waiter,
    ) -> Tried<(EndId, SocketAddr)> {
        let group = self.groups.get_mut(&(machine, address));
        let mut members = group.into_iter().flat_map(|group| &mut group.members);
        let Some(member) = members.find(|member| member.core == waiter.core) else {
            return Some(Err(io::ErrorKind::InvalidInput.into()));
        };
        match member.backlog.pop_front() {
            Some(accepted) => Some(Ok(accepted)),
            None => {
                member.accepting.push(waiter);
                None
            }
        }
    }

    /// Both sides of a new connection, or a wait for the network. Returns who can accept it now.
    pub(super) fn connect(
        &mut self,
        machine: usize,
        address: SocketAddr,
        now: Instant,
        rng: &mut Rng,
        waiter: Waiter,
        woken: &mut Vec<Waiter>,
    ) -> Tried<EndId> {
        let Some(target) = self.machine_of(machine, address.ip()) else {
            return Some(Err(io::ErrorKind::HostUnreachable.into()));
        };
        let is_cut = |from, to| self.links.get(&(from, to)).is_some_and(|link| link.held.is_some());
        if is_cut(machine, target) || is_cut(target, machine) || self.off.contains_key(&target) {
            self.connecting.push(waiter);
            return None;
        }
        let anywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
        let found = [address, anywhere].into_iter().find(|address| {
            let group = self.groups.get(&(target, *address));
            group.is_some_and(|group| !group.members.is_empty())
        });
        let Some(found) = found else {
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        };
        let (here, there) = (EndId(self.sides_count), EndId(self.sides_count + 1));
        self.sides_count += 2;
        // From less than one request up to many.
        let window_bytes = 4096 << rng.below(8);
        for (end, machine, peer, peer_machine) in
            [(here, machine, there, target), (there, target, here, machine)]
        {
            let side = Side {
                machine,
                peer,
                peer_machine,
                inbox: VecDeque::new(),
                inbox_bytes: 0,
                coming_bytes: 0,
                window_bytes,
                last_arrival: now,
                has_ended: false,
                is_reset: false,
                is_shut: false,
                receiving: Vec::new(),
                sending: Vec::new(),
            };
            self.sides.insert(end, side);
        }
        let from = match address.ip().is_loopback() {
            true => IpAddr::from(Ipv4Addr::LOCALHOST),
            false => IpAddr::from(address_of(machine)),
        };
        let peer = SocketAddr::new(from, self.next_port());
        let group = self.groups.get_mut(&(target, found)).expect("just seen");
        let member = rng.index(group.members.len());
        let member = &mut group.members[member];
        member.backlog.push_back((there, peer));
        woken.append(&mut member.accepting);
        Some(Ok(here))
    }

    /// Moves bytes that have arrived into the buffer, within its capacity.
    pub(super) fn receive(
        &mut self,
        end: EndId,
        buf: &mut BytesMut,
        rng: &mut Rng,
        waiter: Waiter,
        woken: &mut Vec<Waiter>,
    ) -> Tried<usize> {
        let side = self.sides.get_mut(&end).expect("an open socket has its side");
        if side.is_reset {
            return Some(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if side.is_shut || (side.has_ended && side.inbox_bytes == 0) {
            return Some(Ok(0));
        }
        if side.inbox_bytes == 0 {
            side.receiving.push(waiter);
            return None;
        }
        let room = (buf.capacity() - buf.len()).min(side.inbox_bytes);
        // Usually everything that there is, sometimes less.
        let mut left = if rng.one_in(4) { 1 + rng.index(room) } else { room };
        let received = left;
        while 0 < left {
            let first = side.inbox.front_mut().expect("its bytes were counted");
            let piece = first.split_to(left.min(first.len()));
            if first.is_empty() {
                side.inbox.pop_front();
            }
            left -= piece.len();
            buf.extend_from_slice(&piece);
        }
        side.inbox_bytes -= received;
        let peer = side.peer;
        if let Some(peer) = self.sides.get_mut(&peer) {
            woken.append(&mut peer.sending);
        }
        Some(Ok(received))
    }

    /// Sends as much as the window takes.
    pub(super) fn send(
        &mut self,
        end: EndId,
        pieces: &[Bytes],
        now: Instant,
        rng: &mut Rng,
        waiter: Option<Waiter>,
    ) -> (Tried<usize>, Option<Sent>) {
        let room = match self.room(end) {
            Ok(room) => room,
            Err(error) => return (Some(Err(error)), None),
        };
        if room == 0 {
            match waiter {
                Some(waiter) => self.side(end).sending.push(waiter),
                None => return (Some(Err(io::ErrorKind::WouldBlock.into())), None),
            }
            return (None, None);
        }
        let total: usize = pieces.iter().map(Bytes::len).sum();
        let most = total.min(room);
        let size_bytes = if rng.one_in(4) { 1 + rng.index(most) } else { most };
        let mut bytes = BytesMut::with_capacity(size_bytes);
        for piece in pieces {
            let left = size_bytes - bytes.len();
            bytes.extend_from_slice(&piece[..left.min(piece.len())]);
        }
        let sent = self.post(end, What::Bytes(bytes.freeze()), now, rng);
        (Some(Ok(size_bytes)), sent)
    }

    /// Whether a send would do something.
    pub(super) fn writable(&mut self, end: EndId, waiter: Waiter) -> Tried<()> {
        match self.room(end) {
            Ok(0) => {
                self.side(end).sending.push(waiter);
                None
            }
            Ok(_) | Err(_) => Some(Ok(())),
        }
    }

    /// Whether a receive would do something.
    pub(super) fn readable(&mut self, end: EndId, waiter: Waiter) -> Tried<()> {
        let side = self.side(end);
        if 0 < side.inbox_bytes || side.has_ended || side.is_reset || side.is_shut {
            return Some(Ok(()));
        }
        side.receiving.push(waiter);
        None
    }

    /// Ends both directions.
    pub(super) fn shut(
        &mut self,
        end: EndId,
        now: Instant,
        rng: &mut Rng,
        woken: &mut Vec<Waiter>,
    ) -> Option<Sent> {
        let side = self.side(end);
        side.is_shut = true;
        side.wake_all(woken);
        self.post(end, What::End, now, rng)
    }

    /// The program has closed the socket, or has died.
    pub(super) fn close(
        &mut self,
        end: EndId,
        now: Instant,
        rng: &mut Rng,
        woken: &mut Vec<Waiter>,
    ) -> Option<Sent> {
        let side = self.side(end);
        side.wake_all(woken);
        // As Linux does when there are bytes that nobody has read.
        let what = if 0 < side.inbox_bytes { What::Reset } else { What::End };
        let is_told = side.is_reset || side.is_shut;
        let sent = if is_told { None } else { self.post(end, what, now, rng) };
        self.sides.remove(&end);
        sent
    }

    /// The socket of a core does not listen any more; who waits in line is refused.
    pub(super) fn close_listener(
        &mut self,
        machine: usize,
        core: usize,
        address: SocketAddr,
        now: Instant,
        rng: &mut Rng,
    ) -> Vec<Sent> {
        let Some(group) = self.groups.get_mut(&(machine, address)) else { return Vec::new() };
        let (closed, kept) =
            std::mem::take(&mut group.members).into_iter().partition(|it| it.core == core);
        group.members = kept;
        let closed: Vec<Listening> = closed;
        let unaccepted = closed.into_iter().flat_map(|member| member.backlog);
        let ends: Vec<EndId> = unaccepted.map(|(end, _)| end).collect();
        ends.into_iter().filter_map(|end| self.abort(end, now, rng)).collect()
    }

    fn abort(&mut self, end: EndId, now: Instant, rng: &mut Rng) -> Option<Sent> {
        let sent = self.post(end, What::Reset, now, rng);
        self.sides.remove(&end);
        sent
    }

    /// How many connections a machine has.
    pub(super) fn connections_count(&self, machine: usize) -> usize {
        self.sides.values().filter(|side| side.machine == machine).count()
    }

    /// Nobody waits for an operation any more. False if it was not waiting here.
    pub(super) fn forget(&mut self, waiter: Waiter) -> bool {
        let members = self.groups.values_mut().flat_map(|group| &mut group.members);
        let lists = members
            .map(|member| &mut member.accepting)
            .chain(self.sides.values_mut().flat_map(|it| [&mut it.receiving, &mut it.sending]))
            .chain(std::iter::once(&mut self.connecting));
        for list in lists {
            if let Some(at) = list.iter().position(|waiting| *waiting == waiter) {
                list.remove(at);
                return true;
            }
        }
        false
    }

    // ---- Packets.

    /// A packet has arrived. Returns the answer to it, if the network itself gives one.
    pub(super) fn arrive(
        &mut self,
        packet: Packet,
        now: Instant,
        rng: &mut Rng,
        woken: &mut Vec<Waiter>,
    ) -> Option<Sent> {
        if let Some(waiting) = self.off.get_mut(&packet.to_machine) {
            waiting.push(packet);
            return None;
        }
        let Some(side) = self.sides.get_mut(&packet.to) else {
            // Nobody knows this connection here.
            if let What::Reset = packet.what {
                return None;
            }
            let Packet { from, to, from_machine, to_machine, .. } = packet;
            let what = What::Reset;
            let reset = Packet {
                from: to,
                to: from,
                from_machine: to_machine,
                to_machine: from_machine,
                what,
            };
            return self.dispatch(reset, now, rng);
        };
        match packet.what {
            What::Bytes(bytes) => {
                side.coming_bytes -= bytes.len();
                side.inbox_bytes += bytes.len();
                side.inbox.push_back(bytes);
            }
            What::End => side.has_ended = true,
            What::Reset => {
                if !side.is_reset {
                    self.resets_count += 1;
                }
                side.is_reset = true;
                side.inbox.clear();
                side.inbox_bytes = 0;
                woken.append(&mut side.sending);
            }
        }
        woken.append(&mut side.receiving);
        None
    }

    fn post(&mut self, end: EndId, what: What, now: Instant, rng: &mut Rng) -> Option<Sent> {
        let side = &self.sides[&end];
        let packet = Packet {
            from: end,
            to: side.peer,
            from_machine: side.machine,
            to_machine: side.peer_machine,
            what,
        };
        if let (What::Bytes(bytes), Some(peer)) = (&packet.what, self.sides.get_mut(&packet.to)) {
            peer.coming_bytes += bytes.len();
        }
        self.dispatch(packet, now, rng)
    }

    fn dispatch(&mut self, packet: Packet, now: Instant, rng: &mut Rng) -> Option<Sent> {
        let link = self.links.get_mut(&(packet.from_machine, packet.to_machine));
        let mut latency_max = LATENCY_MAX;
        if let Some(link) = link {
            latency_max = link.latency_max;
            if let Some(held) = &mut link.held {
                held.push(packet);
                return None;
            }
        }
        let spread = latency_max.saturating_sub(LATENCY_MIN).as_nanos();
        let spread = u64::try_from(spread).expect("a latency of less than centuries");
        let latency = LATENCY_MIN + Duration::from_nanos(rng.below(spread + 1));
        let mut at = now + latency;
        if let Some(side) = self.sides.get_mut(&packet.to) {
            at = at.max(side.last_arrival);
            side.last_arrival = at;
        }
        Some((at, packet))
    }

    // ---- What happens to machines and links.

    /// From now on nothing gets through from one machine to another.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.link(from, to).held.get_or_insert_default();
    }

    pub(super) fn set_latency(&mut self, from: usize, to: usize, latency_max: Duration) {
        self.link(from, to).latency_max = latency_max;
    }

    /// What was held back goes on its way.
    pub(super) fn heal(
        &mut self,
        from: usize,
        to: usize,
        now: Instant,
        rng: &mut Rng,
        woken: &mut Vec<Waiter>,
    ) -> Vec<Sent> {
        let link = self.link(from, to);
        link.latency_max = LATENCY_MAX;
        let held = link.held.take().unwrap_or_default();
        woken.append(&mut self.connecting);
        held.into_iter().filter_map(|packet| self.dispatch(packet, now, rng)).collect()
    }

    /// Every connection between two machines for which `chooses` says so is reset on both sides.
    pub(super) fn reset(
        &mut self,
        (a, b): (usize, usize),
        now: Instant,
        rng: &mut Rng,
        mut chooses: impl FnMut(&mut Rng) -> bool,
    ) -> Vec<Sent> {
        let between: Vec<(EndId, EndId)> = self
            .sides
            .iter()
            .filter(|(_, side)| (side.machine, side.peer_machine) == (a, b))
            .map(|(end, side)| (*end, side.peer))
            .collect();
        let mut sent = Vec::new();
        for (end, peer) in between {
            if chooses(rng) {
                for end in [end, peer] {
                    if self.sides.contains_key(&end) {
                        sent.extend(self.post(end, What::Reset, now, rng));
                    }
                }
            }
        }
        sent
    }

    /// The machine loses its power: its connections are gone, and nobody is told.
    pub(super) fn lose_power(&mut self, machine: usize) {
        self.groups.retain(|(of, _), _| *of != machine);
        self.sides.retain(|_, side| side.machine != machine);
        self.off.entry(machine).or_default();
    }

    /// The machine has power; what was sent to it meanwhile arrives.
    pub(super) fn power_on(
        &mut self,
        machine: usize,
        now: Instant,
        rng: &mut Rng,
        woken: &mut Vec<Waiter>,
    ) -> Vec<Sent> {
        let Some(waiting) = self.off.remove(&machine) else { return Vec::new() };
        woken.append(&mut self.connecting);
        waiting.into_iter().filter_map(|packet| self.dispatch(packet, now, rng)).collect()
    }

    // ---- Helpers.

    fn side(&mut self, end: EndId) -> &mut Side {
        self.sides.get_mut(&end).expect("an open socket has its side")
    }

    /// How much may be sent now.
    fn room(&mut self, end: EndId) -> io::Result<usize> {
        let side = self.side(end);
        if side.is_shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if side.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let (peer, window_bytes) = (side.peer, side.window_bytes);
        // To a machine that is gone the window is what it was; the answer will be a reset.
        let used = self.sides.get(&peer).map_or(0, |peer| peer.inbox_bytes + peer.coming_bytes);
        Ok(window_bytes.saturating_sub(used))
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        let healthy = Link { latency_max: LATENCY_MAX, held: None };
        self.links.entry((from, to)).or_insert(healthy)
    }

    fn machine_of(&self, from: usize, ip: IpAddr) -> Option<usize> {
        match ip {
            ip if ip.is_loopback() => Some(from),
            IpAddr::V4(ip) if ip.octets()[..3] == [10, 0, 0] => {
                usize::from(ip.octets()[3]).checked_sub(1)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    fn next_port(&mut self) -> u16 {
        let port = EPHEMERAL_PORT_FIRST + self.ports_count % (u16::MAX - EPHEMERAL_PORT_FIRST);
        self.ports_count = self.ports_count.wrapping_add(1);
        port
    }
}
