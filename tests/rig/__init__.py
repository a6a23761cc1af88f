"""What the SIPp scenarios and the real-peer tests share: loopback addresses, the edge as a process, results."""
