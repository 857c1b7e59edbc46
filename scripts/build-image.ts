import { IMAGE_INPUTS, imageName } from '../runtime/docker/image.ts';
import { availableBase, buildImage, imageExists } from './docker-build.ts';

/**
 * Builds the image of instances, unless it is there. `BASE` names another base image than node:24-slim; where that
 * cannot be pulled, one is made by runtime/image/make-base.sh (which needs root and debootstrap).
 */
const say = (sentence: string): void => void process.stdout.write(`${sentence}\n`);
const image = await imageName();

if (await imageExists(image)) say(`The image ${image} already exists.`);
else {
  const base = process.env['BASE'] ?? (await availableBase(say));
  say(`Building ${image} on ${base} (a few minutes, once).`);
  await buildImage({ image, dockerfile: 'runtime/image/Dockerfile', inputs: IMAGE_INPUTS, base });
  say(`The image ${image} is built.`);
}
