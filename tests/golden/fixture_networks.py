"""The mini networks behind the golden fixtures: each has one family's habits, at a few channels."""

import torch
import torch.nn.functional as F
from torch import nn


def conv_norm(inputs, outputs, kernel, activation, stride=1, groups=1, padding=None):
    padding = kernel // 2 if padding is None else padding
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs), activation())


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, groups=1):
        super().__init__()
        self.conv1 = conv_norm(inputs, outputs, 3, nn.ReLU, stride)
        self.conv2 = conv_norm(outputs, outputs, 3, nn.Identity, groups=groups)
        self.downsample = conv_norm(inputs, outputs, 1, nn.Identity, stride)

    def forward(self, x):
        return F.relu(self.conv2(self.conv1(x)) + self.downsample(x))


class Residual(nn.Module):
    """ResNet and ResNeXt: max-pool with padding, projections, grouped convolution."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 7, nn.ReLU, stride=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block1 = BasicBlock(8, 8, 1)
        self.block2 = BasicBlock(8, 16, 2, groups=4)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.block2(self.block1(self.pool(self.stem(x))))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class SqueezeExcite(nn.Module):
    def __init__(self, channels, activation, gate):
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        self.activation, self.gate = activation(), gate()

    def forward(self, x):
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.expand(self.activation(self.reduce(scale))))


class MBConv(nn.Module):
    def __init__(self, inputs, outputs, stride, kernel, activation, squeeze):
        super().__init__()
        middle = 3 * inputs
        self.block = nn.Sequential(
            conv_norm(inputs, middle, 1, activation),
            conv_norm(middle, middle, kernel, activation, stride, groups=middle),
            squeeze(middle),
            conv_norm(middle, outputs, 1, nn.Identity))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.block(x) if self.residual else self.block(x)


class Mobile(nn.Module):
    """EfficientNet (SiLU) and MobileNetV3 (hard-swish): depthwise, squeeze-excite, residual sums."""

    def __init__(self, activation, gate, squeeze_activation):
        super().__init__()
        squeeze = lambda channels: SqueezeExcite(channels, squeeze_activation, gate)
        self.stem = conv_norm(3, 8, 3, activation, stride=2)
        self.block1 = MBConv(8, 8, 1, 3, activation, squeeze)
        self.block2 = MBConv(8, 12, 2, 5, activation, squeeze)
        self.top = conv_norm(12, 24, 1, activation)
        self.head = nn.Sequential(nn.Linear(24, 16), activation(), nn.Linear(16, 5))

    def forward(self, x):
        x = self.top(self.block2(self.block1(self.stem(x))))
        return self.head(x.mean([2, 3]))


class Depthwise(nn.Module):
    """MobileNetV2: ReLU6, and what Keras ports leave behind: one-sided padding, dilation."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.stem = conv_norm(3, 8, 3, nn.ReLU6, stride=2, padding=0)
        self.block1 = MBConv(8, 8, 1, 3, nn.ReLU6, lambda _channels: nn.Identity())
        self.dilated = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.top = conv_norm(8, 16, 1, nn.ReLU6, stride=2)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.block1(self.stem(self.pad(x)))
        x = self.top(x + 0.5 * self.dilated(x))
        return self.head(x.mean([2, 3]))


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(2 * growth)
        self.conv1 = nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.conv2 = nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class Dense(nn.Module):
    """DenseNet: norm before convolution, concatenation, average pool between the blocks."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, nn.ReLU, stride=2)
        self.layer1, self.layer2 = DenseLayer(8, 6), DenseLayer(14, 6)
        self.transition = nn.Sequential(
            nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2, 2))
        self.layer3 = DenseLayer(10, 6)
        self.norm = nn.Sequential(nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([x, self.layer1(x)], 1)
        x = self.transition(torch.cat([x, self.layer2(x)], 1))
        x = self.norm(torch.cat([x, self.layer3(x)], 1))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class ChannelLast(nn.Module):
    """LayerNorm over the channels of an NCHW value, as torchvision writes it."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.layer_scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)
        return x + self.layer_scale * y


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), ChannelLast(8))
        self.block1 = ConvNeXtBlock(8)
        self.shrink = nn.Sequential(ChannelLast(8), nn.Conv2d(8, 12, 2, 2))
        self.block2 = ConvNeXtBlock(12)
        self.norm = ChannelLast(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.block2(self.shrink(self.block1(self.stem(x))))
        return self.head(torch.flatten(self.norm(F.adaptive_avg_pool2d(x, 1)), 1))


class Shuffle(nn.Module):
    """ShuffleNetV2: split, channel shuffle by reshape and transpose of a run-time shape."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 16, 3, nn.ReLU, stride=2)
        self.branch = nn.Sequential(
            conv_norm(8, 8, 1, nn.ReLU), conv_norm(8, 8, 3, nn.Identity, groups=8),
            conv_norm(8, 8, 1, nn.ReLU))
        self.top = conv_norm(16, 20, 3, nn.ReLU, stride=2)
        self.head = nn.Linear(20, 5)

    def forward(self, x):
        left, right = self.stem(x).chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = x.size()
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        x = self.top(x.view(batch, -1, height, width))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.head(x.view(x.size(0), -1))


class Branches(nn.Module):
    """GoogLeNet and Inception: ceil mode, 1x7 kernels, padded average pool, input rescaled inside."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8, 3, nn.ReLU, stride=2, padding=0)
        self.wide = nn.Sequential(
            nn.Conv2d(8, 6, (1, 7), padding=(0, 3)), nn.Conv2d(6, 6, (7, 1), padding=(3, 0)),
            nn.BatchNorm2d(6), nn.ReLU())
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_norm(8, 6, 1, nn.ReLU))
        self.maximum = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.top = conv_norm(20, 20, 3, nn.ReLU)
        self.head = nn.Linear(20, 5)

    def forward(self, x):
        channels = [x[:, i : i + 1] * (0.9 + 0.1 * i) + (0.1 * i - 0.05) for i in range(3)]
        x = self.maximum(self.stem(torch.cat(channels, 1)))
        x = self.top(torch.cat([x, self.wide(x), self.pooled(x)], 1))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Quantized(nn.Module):
    """Convolutions between fake-quantized activations; the exporter writes QuantizeLinear pairs.

    freeze() puts the convolutions' weights on an int8 grid, one scale for each output channel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.middle = nn.Conv2d(8, 12, 3, 1, 1)
        self.top = nn.Conv2d(12, 16, 1)
        self.watch = nn.Identity()
        self.head = nn.Linear(16, 5)
        self.scales = {}

    def freeze(self):
        for name in ("stem", "middle", "top"):
            weight = getattr(self, name).weight
            scale = weight.detach().abs().amax((1, 2, 3)) / 127
            grid = (weight.detach() / scale[:, None, None, None]).round()
            weight.data = grid * scale[:, None, None, None]
            self.scales[name] = (scale, grid)

    @staticmethod
    def quantize(x, scale, zero_point, low, high):
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high)

    def forward(self, x):
        x = F.relu(self.stem(self.quantize(x, 0.03125, 0, -128, 127)))
        x = F.relu(self.middle(self.quantize(x, 0.03125, 0, 0, 255)))
        x = F.relu(self.top(self.quantize(x, 0.03125, 3, 0, 255)))
        x = self.watch(self.quantize(x, 0.03125, 0, 0, 255))
        return self.head(x.mean([2, 3]))


class Keras(nn.Module):
    """What tf2onnx makes of a Keras model: see fixture_rewrites.keras_model, which mirrors this.

    Takes NHWC; the logits are probabilities (softmax inside)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, bias=False)
        self.norm = nn.BatchNorm2d(8, eps=1e-3)
        self.depthwise = nn.Conv2d(8, 8, 5, 2, groups=8)
        self.top_conv = nn.Conv2d(8, 16, 1)
        self.top_activation = nn.SiLU()
        self.head = nn.Linear(16, 5)

    @staticmethod
    def same(x, kernel, stride, value=0.0):
        """TensorFlow's SAME: what is missing, the odd one at the end."""
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.pad(x, pads, value=value)

    def logits(self, x):
        x = ((x * (1 / 127.5)) - 1.0).permute(0, 3, 1, 2)
        x = F.silu(self.norm(self.stem(self.same(x, 3, 2))))
        x = F.max_pool2d(self.same(x, 3, 1, float("-inf")), 3, 1)
        x = F.relu6(self.depthwise(self.same(x, 5, 2)))
        x = self.top_activation(self.top_conv(x))
        return self.head(x.mean([2, 3]))

    def forward(self, x):
        return torch.softmax(self.logits(x), 1)
