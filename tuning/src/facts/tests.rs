//! Tests of facts: on texts of known hosts, and on the host at hand.

use super::*;

#[test]
fn the_facts_of_this_host_can_be_published() {
    let facts = Facts::read(Path::new(".")).unwrap();
    assert!(0 < facts.processor.online_count);
    assert!(0 < facts.memory.total_bytes);
    assert!(!facts.kernel.release.is_empty());
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&json).unwrap().kernel, facts.kernel);
    let shown = format!("{json}{facts}");
    let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    // Short names such as "vm" are part of settings' names.
    if 3 < host_name.trim().len() {
        assert!(!shown.contains(host_name.trim()), "{shown}");
    }
    for path in ["/home/", "/root/", "/work"] {
        assert!(!shown.contains(path), "{shown}");
    }
}

const MOUNTINFO: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,noatime shared:1 - ext4 /dev/vda rw,discard
90 27 0:50 / /var/lib rw,relatime - overlay overlay rw,lowerdir=/home/x/a,index=off
91 90 259:1 / /var/lib/data\\040files rw,nosuid - xfs /dev/nvme0n1p1 rw,nosuid,logbufs=8
";

#[test]
fn a_directory_is_on_the_innermost_mount() {
    let mount = |path: &str| mount::of(MOUNTINFO, Path::new(path)).unwrap();
    let root = mount("/srv/x");
    assert_eq!((root.file_system.as_str(), root.is_root), ("ext4", true));
    assert_eq!(root.options, ["rw", "noatime", "discard"]);
    let data = mount("/var/lib/data files/x");
    assert_eq!((data.file_system.as_str(), data.is_root), ("xfs", false));
    assert_eq!(data.options, ["rw", "nosuid", "logbufs=8"]);
    // The path in an option is not published.
    assert_eq!(mount("/var/lib/other").options, ["rw", "relatime", "lowerdir", "index=off"]);
    // A name that only begins alike is no parent.
    assert_eq!(mount("/variable").file_system, "ext4");
}

const INTERRUPTS: &str = "\
           CPU0       CPU1
 24:          1          0  IO-APIC   5-edge      ACPI:Ged
 35:          0          1  PCI-MSIX-0000:00:02.0   0-edge      virtio1-config
 36:         10     283836  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
 37:     999999          0  PCI-MSIX-0000:00:03.0   0-edge      virtio12-req.0
 50:          5          0  PCI-MSI 512-edge      nvme0q0
 51:          0          7  PCI-MSI 513-edge      nvme0q1
 52:        100        100  PCI-MSI 514-edge      nvme01q1
NMI:          0          0   Non-maskable interrupts
ERR:          0
";

#[test]
fn a_device_is_found_among_the_interrupts() {
    let counts = |path: &str| interrupts::counts(INTERRUPTS, Path::new(path));
    let virtio = counts("/sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda");
    assert_eq!(virtio, [10, 283_837]);
    assert_eq!(busiest(&virtio), Some(1));
    let nvme = counts("/sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1");
    assert_eq!(nvme, [5, 7]);
    assert_eq!(busiest(&counts("/sys/devices/virtual/block/loop0")), None);
    let before = Interrupts { counts: vec![10, 100] };
    assert_eq!(Interrupts { counts: vec![15, 100] }.since(&before), [5, 0]);
}

#[test]
fn the_chosen_of_several_is_in_brackets() {
    assert_eq!(chosen("none [mq-deadline] kyber bfq"), "mq-deadline");
    assert_eq!(chosen("never\n"), "never");
}

#[test]
fn a_processor_is_read_from_what_the_kernel_says() {
    let cpuinfo = "processor\t: 0\nmodel name\t: Example 9000\nflags\t\t: fpu hypervisor\n\n\
                   processor\t: 1\nmodel name\t: Example 9000\nflags\t\t: fpu hypervisor\n";
    let processor = processor(cpuinfo);
    assert_eq!(processor.model, "Example 9000");
    assert_eq!((processor.online_count, processor.is_virtual), (2, true));
    assert_eq!(kib_of("MemTotal:       24 kB\nMemFree: 1 kB\n", "MemTotal"), Some(24));
    assert_eq!(kib_of("MemTotalX: 24 kB", "MemTotal"), None);
}
