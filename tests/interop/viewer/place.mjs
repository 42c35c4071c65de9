// Where the viewer's own code puts the voxels of our results.
//
// stdin:  [{sources: [file, ...] in any order, results: [SEG or Parametric Map, ...]}, ...]
// stdout: [[[[x, y, z, value], ...] of every result] of every case], LPS millimetres, voxels that are not zero; in a
//         result's place {failed: why} where the viewer does not take it
//
// As in OHIF: the images of a series are sorted along the slice normal; a SEG's frames go to the images that they
// refer to; a map's values fill the volume of the source images in stored order.
import { readFileSync } from 'node:fs';
import { adaptersPMAP, adaptersSEG } from '@cornerstonejs/adapters';
import { cache, metaData, utilities } from '@cornerstonejs/core';
import dcmjs from 'dcmjs';

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const headers = new Map();

metaData.addProvider((type, imageId) => {
  const header = headers.get(imageId);
  return header && modules[type]?.(header);
});

const modules = {
  instance: (header) => header,
  generalImageModule: (header) => ({ sopInstanceUID: header.SOPInstanceUID }),
  generalSeriesModule: (header) => ({ modality: header.Modality, seriesInstanceUID: header.SeriesInstanceUID }),
  imagePixelModule: (header) => ({
    bitsAllocated: header.BitsAllocated,
    bitsStored: header.BitsStored,
    highBit: header.HighBit,
    photometricInterpretation: header.PhotometricInterpretation,
    pixelRepresentation: header.PixelRepresentation,
    samplesPerPixel: header.SamplesPerPixel,
  }),
  imagePlaneModule: (header) => ({
    columns: header.Columns,
    columnCosines: header.ImageOrientationPatient.slice(3),
    columnPixelSpacing: header.PixelSpacing[1],
    frameOfReferenceUID: header.FrameOfReferenceUID,
    imageOrientationPatient: header.ImageOrientationPatient,
    imagePositionPatient: header.ImagePositionPatient,
    pixelSpacing: header.PixelSpacing,
    rowCosines: header.ImageOrientationPatient.slice(0, 3),
    rowPixelSpacing: header.PixelSpacing[0],
    rows: header.Rows,
  }),
};

function bytes(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

function load(path) {
  const header = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(bytes(path)).dict);
  const imageId = `wadors:${path}`;
  headers.set(imageId, header);
  return imageId;
}

function* voxels(values, { dimensions, origin, direction, spacing }) {
  const [columns, rows] = dimensions;
  for (let at = 0; at < values.length; at++) {
    if (values[at] === 0) continue;
    const index = [at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows))];
    const place = [0, 1, 2].map((axis) =>
      index.reduce((sum, steps, way) => sum + steps * spacing[way] * direction[3 * way + axis], origin[axis]));
    yield [...place, values[at]];
  }
}

async function placeSegmentation(volume, path) {
  const { labelMapImages } = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(
    volume.imageIds, bytes(path), { metadataProvider: metaData });
  return labelMapImages.flatMap((layer) => layer.flatMap((image, index) => {
    const plane = { ...volume, origin: metaData.get('imagePlaneModule', volume.imageIds[index]).imagePositionPatient };
    return [...voxels(image.getPixelData(), plane)];
  }));
}

async function placeMap(volume, path) {
  const { pixelData } = await adaptersPMAP.Cornerstone3D.ParametricMap.generateToolState(
    volume.imageIds, bytes(path), metaData);
  return [...voxels(pixelData, volume)];
}

function place(volume, path) {
  const { Modality } = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(bytes(path)).dict);
  return Modality === 'SEG' ? placeSegmentation(volume, path) : placeMap(volume, path);
}

const placed = [];
for (const { sources, results } of JSON.parse(readFileSync(0))) {
  const volume = utilities.generateVolumePropsFromImageIds(sources.map(load), 'volume');
  const answers = [];
  for (const path of results) {
    answers.push(await place(volume, path).catch((error) => ({ failed: error.message })));
  }
  placed.push(answers);
  cache.purgeCache();
}
process.stdout.write(JSON.stringify(placed), () => process.exit(0));
