/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See socket_options.h. Source: socket(7), ip(7), ipv6(7), tcp(7), unix(7).
 */
#include "process/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "image/image_format.h"

const struct socket_option socket_options__all[SOCKET_OPTIONS] = {
	{IMAGE_REUSE_ADDRESS, SOL_SOCKET, SO_REUSEADDR},
	{IMAGE_REUSE_PORT, SOL_SOCKET, SO_REUSEPORT},
	{IMAGE_ONLY_IPV6, IPPROTO_IPV6, IPV6_V6ONLY},
	{IMAGE_KEEPS_ALIVE, SOL_SOCKET, SO_KEEPALIVE},
	{IMAGE_BROADCASTS, SOL_SOCKET, SO_BROADCAST},
	{IMAGE_TELLS_CREDENTIALS, SOL_SOCKET, SO_PASSCRED},
	{IMAGE_SENDS_AT_ONCE, IPPROTO_TCP, TCP_NODELAY},
	{IMAGE_TELLS_ADDRESS, IPPROTO_IP, IP_PKTINFO},
	{IMAGE_TELLS_ADDRESS6, IPPROTO_IPV6, IPV6_RECVPKTINFO},
	{IMAGE_BINDS_FREELY, IPPROTO_IP, IP_FREEBIND},
};
