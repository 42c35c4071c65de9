// High-Throughput JPEG 2000 by OpenJPH, the only open encoder of it at hand.
//
// stdin:  {width, height, bitsPerSample, isSigned, componentCount, lossless, step, progression, pixels in base64}
// stdout: {codestream in base64}
import { readFileSync } from 'node:fs';
import openjph from '@cornerstonejs/codec-openjph';

const { lossless, step, progression, pixels, ...frame } = JSON.parse(readFileSync(0));
const encoder = new (await openjph()).HTJ2KEncoder();
encoder.getDecodedBuffer({ ...frame, isUsingColorTransform: frame.componentCount > 1 }).set(Buffer.from(pixels, 'base64'));
encoder.setQuality(lossless, step);
encoder.setProgressionOrder(progression);
encoder.encode();
process.stdout.write(JSON.stringify({ codestream: Buffer.from(encoder.getEncodedBuffer()).toString('base64') }));
