// Drives OHIF in one headless browser, as a person would, and reads what it shows from `window.cornerstone`.
//
// Arguments: the browser, the viewer's address. One JSON request per line of stdin, one JSON answer per line of stdout:
//   {do: "open", study}               opens a study
//   {do: "segmentation", series}      double-clicks the SEG of that description, and tells what is loaded, values in base64
//   {do: "map", series}               double-clicks the Parametric Map of that description, and tells what is loaded
//   {do: "look", place}               goes to the slice of a place (LPS millimetres), and tells the colour shown there
//   {do: "picture", path}             saves a picture of the window
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [executablePath, address] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1000, height: 640 } });
page.setDefaultTimeout(180_000); // drawing in software on a loaded machine takes its time
const complaints = [];
page.on('pageerror', (error) => complaints.push(error.message));
await page.addInitScript(() => localStorage.setItem('shownTours', '["basicViewerTour"]'));

async function open({ study }) {
  await page.goto(`${address}/viewer?StudyInstanceUIDs=${study}`);
  await page.waitForSelector('canvas');
  return {};
}

async function doubleClick(series) {
  await page.getByText(series, { exact: true }).first().dblclick();
}

// The segments as the viewer names and colours them, and all that it holds of them, plane by plane.
async function segmentation({ series }) {
  await doubleClick(series);
  await page.getByRole('button', { name: 'Yes', exact: true }).click(); // "open this segmentation?"
  const loaded = (label) => {
    const { state } = window.cornerstoneTools.segmentation;
    return state.getSegmentations().some((one) => one.label === label && state.getViewportIdsWithSegmentation(one.segmentationId).length);
  };
  await page.waitForFunction(loaded, series);
  return page.evaluate((label) => {
    const { cache, metaData } = window.cornerstone;
    const { config, state } = window.cornerstoneTools.segmentation;
    const { segmentationId, segments, representationData } = state.getSegmentations().find((one) => one.label === label);
    const [viewportId] = state.getViewportIdsWithSegmentation(segmentationId);
    const { imageIds, referencedImageIds } = representationData.Labelmap;
    return {
      segments: Object.values(segments).map((segment) => ({
        number: segment.segmentIndex,
        label: segment.label,
        colour: [...config.color.getSegmentIndexColor(viewportId, segmentationId, segment.segmentIndex)].slice(0, 3),
      })),
      planes: imageIds.map((imageId, index) => {
        const plane = metaData.get('imagePlaneModule', referencedImageIds[index]);
        return {
          shape: [plane.rows, plane.columns],
          position: [...plane.imagePositionPatient],
          row: [...plane.rowCosines],
          column: [...plane.columnCosines],
          spacing: [plane.rowPixelSpacing, plane.columnPixelSpacing],
          uint8: Uint8Array.from(cache.getImage(imageId).getPixelData()).toBase64(),
        };
      }),
    };
  }, series);
}

// The map as the viewer holds it, and where it shows the first voxel and its neighbours along every axis.
async function map({ series }) {
  await doubleClick(series);
  const shown = () => window.cornerstone.getRenderingEngines()[0].getViewports()
    .some((viewport) => viewport.getActors().some(({ referencedId }) => referencedId?.startsWith('pmap.')));
  await page.waitForFunction(shown);
  return page.evaluate(() => {
    const { cache, getRenderingEngines, utilities } = window.cornerstone;
    const actors = getRenderingEngines()[0].getViewports().flatMap((viewport) => viewport.getActors());
    const volume = cache.getVolume(actors.find(({ referencedId }) => referencedId?.startsWith('pmap.')).referencedId);
    const place = (index) => [...utilities.transformIndexToWorld(volume.imageData, index)];
    return {
      shape: [...volume.dimensions].reverse(),
      first: place([0, 0, 0]),
      next: [place([0, 0, 1]), place([0, 1, 0]), place([1, 0, 0])],
      float32: new Uint8Array(Float32Array.from(volume.voxelManager.getCompleteScalarDataArray()).buffer).toBase64(),
    };
  });
}

async function look({ place }) {
  const { x, y } = await page.evaluate(async (world) => {
    const { metaData, getRenderingEngines } = window.cornerstone;
    const [viewport] = getRenderingEngines()[0].getViewports();
    const distance = (imageId) => {
      const { imagePositionPatient: origin, rowCosines: r, columnCosines: c } = metaData.get('imagePlaneModule', imageId);
      const normal = [r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]];
      return Math.abs(normal.reduce((sum, part, axis) => sum + part * (world[axis] - origin[axis]), 0));
    };
    const imageIds = viewport.getImageIds();
    const nearest = imageIds.reduce((best, imageId) => (distance(imageId) < distance(best) ? imageId : best));
    if (viewport.type === 'stack') await viewport.setImageIdIndex(imageIds.indexOf(nearest));
    else viewport.jumpToWorld(world);
    viewport.render();
    await new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); });
    const { left, top } = viewport.element.getBoundingClientRect();
    const [across, down] = viewport.worldToCanvas(world);
    return { x: Math.floor(left + across), y: Math.floor(top + down) };
  }, place);
  const dot = await page.screenshot({ clip: { x, y, width: 1, height: 1 } });
  return { png: dot.toString('base64') };
}

async function picture({ path }) {
  await page.waitForFunction(() => !document.querySelector('[data-sonner-toast]')); // notes that cover the image
  await page.screenshot({ path });
  return {};
}

const acts = { open, segmentation, map, look, picture };
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  complaints.length = 0;
  const answer = await acts[request.do](request).catch((error) => ({ failed: error.message }));
  process.stdout.write(`${JSON.stringify({ ...answer, complaints })}\n`);
}
await browser.close();
