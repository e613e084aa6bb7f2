#!/bin/busybox sh
# Streams the image with curl and dd, says how long it took, and leaves the same guest to the installer.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_net virtio_blk; do modprobe $module; done
cat >/tmp/lease <<'SCRIPT'
#!/bin/busybox sh
[ "$1" = bound ] && ip addr add "$ip/${mask:-24}" dev "$interface"
exit 0
SCRIPT
chmod +x /tmp/lease
until [ -e /sys/class/net/eth0 ] && [ -e /dev/vda ]; do sleep 0.05; done
ip link set eth0 up
until udhcpc -i eth0 -n -q -t 10 -T 1 -s /tmp/lease >/dev/null 2>&1; do sleep 0.2; done
uptime() { cut -d' ' -f1 /proc/uptime; }
begun=$(uptime)
curl -sf http://10.99.0.1:8081/image.raw | dd of=/dev/vda bs=1M conv=fsync 2>/dev/null
echo "peer: streamed from $begun to $(uptime)"
# The disk as it was, for the installer's rules; the address as it was, for its network.
dd if=/dev/zero of=/dev/vda bs=1M count=2 conv=fsync 2>/dev/null
ip addr flush dev eth0
ip link set eth0 down
umount /dev /sys /proc
exec /init.real
