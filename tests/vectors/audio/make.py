#!/usr/bin/env python3
"""Makes the sound files of this folder with other people's encoders: sox (Vorbis), libmp3lame and libopus by ctypes.

Each holds half a second of 440 Hz at about -12 dBFS. Needs Debian's sox, libmp3lame0 and libopus0.
"""

import ctypes
import math
import struct
import subprocess

SECONDS = 0.5


def tone(rate):
    step = 2 * math.pi * 440 / rate
    return [round(11_650 * math.sin(step * index)) for index in range(int(rate * SECONDS))]


def stereo(rate):
    return struct.pack(f"<{2 * len(tone(rate))}h", *(sample for sample in tone(rate) for _ in range(2)))


def vorbis():
    sox = ["sox", "-D", "-t", "raw", "-r", "44100", "-e", "signed", "-b", "16", "-c", "2", "-", "-C", "2", "tone.ogg"]
    subprocess.run(sox, input=stereo(44_100), check=True)


def mp3():
    lame = ctypes.CDLL("libmp3lame.so.0")
    lame.lame_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(lame.lame_init())
    lame.lame_set_in_samplerate(state, 22_050)
    lame.lame_set_out_samplerate(state, 22_050)
    lame.lame_set_num_channels(state, 2)
    lame.lame_set_brate(state, 48)
    assert lame.lame_init_params(state) == 0
    pcm, room = stereo(22_050), ctypes.create_string_buffer(100_000)
    made = lame.lame_encode_buffer_interleaved(state, pcm, len(pcm) // 4, room, 100_000)
    octets = room.raw[:made]
    made = lame.lame_encode_flush(state, room, 100_000)
    with open("tone.mp3", "wb") as file:
        file.write(octets + room.raw[:made])


def page(flags, granule, number, packets):
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, number, 0, len(lacing)) + lacing
    whole = head + b"".join(packets)
    crc = 0
    for octet in whole:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return whole[:22] + struct.pack("<I", crc) + whole[26:]


def opus():
    lib, error = ctypes.CDLL("libopus.so.0"), ctypes.c_int()
    lib.opus_encoder_create.restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(lib.opus_encoder_create(48_000, 2, 2049, ctypes.byref(error)))
    assert error.value == 0
    pcm, room, packets = stereo(48_000), ctypes.create_string_buffer(1_500), []
    for start in range(0, len(pcm), 960 * 4):
        made = lib.opus_encode(encoder, pcm[start : start + 960 * 4], 960, room, 1_500)
        packets.append(room.raw[:made])
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, 312, 48_000, 0, 0)
    tags = struct.pack("<8sI4sI", b"OpusTags", 4, b"none", 0)
    with open("tone.opus", "wb") as file:
        file.write(page(2, 0, 0, [head]) + page(0, 0, 1, [tags]) + page(4, 960 * len(packets), 2, packets))


vorbis()
mp3()
opus()
